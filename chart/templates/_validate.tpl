{{/* What is fine value by value but not together: all of it at once, each as one line. */}}
{{- define "berth.validate" -}}
{{- $problems := "" -}}
{{- range .vms -}}
  {{- $where := .key | empty | ternary "" (printf "vms.%s: " .key) -}}
  {{- range include "berth.problems" . | splitList "\n" -}}
    {{- if hasPrefix "- " . }}{{ $problems = printf "%s\n  - %s%s" $problems $where (trimPrefix "- " .) }}{{ end -}}
  {{- end -}}
{{- end -}}
{{- if $problems }}{{ printf "\n\nThe values do not fit together:%s\n" $problems | fail }}{{ end -}}
{{- end }}

{{- define "berth.problems" }}
{{- if not (or (include "berth.keys" . | trim) .Values.userdata (include "berth.hasOwnUserdata" .)) }}
- sshKey is empty and there is no userdata, so nobody could log in; set sshKey to a public key (--set-file sshKey=$HOME/.ssh/id_ed25519.pub), or userdata to what the guest needs
{{- end }}
{{- end }}
