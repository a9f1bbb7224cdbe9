{{/* Name of the Secret with the VNC password; nothing where there is none. */}}
{{- define "berth.vncSecret" -}}
{{- if and .Values.vnc.enabled (not .Values.vnc.open) -}}
{{- .Values.vnc.existingSecret | default (printf "%s-vnc" (include "berth.fullname" .)) -}}
{{- end -}}
{{- end }}

{{/* The generated password in base64: the one that is there already, else a new one. */}}
{{- define "berth.vncPassword" -}}
{{- $there := lookup "v1" "Secret" .Release.Namespace (printf "%s-vnc" (include "berth.fullname" .)) -}}
{{- /* VNC itself counts 8 characters. */ -}}
{{- dig "data" "password" "" $there | default (randAlphaNum 8 | b64enc) -}}
{{- end }}
