{{/* The pod's securityContext. 107 is the container image's user qemu. */}}
{{- define "berth.podSecurityContext" -}}
{{- $context := dict "seccompProfile" (dict "type" "RuntimeDefault") -}}
{{- if eq .Values.securityLevel "restricted" -}}
  {{- $_ := set $context "runAsNonRoot" true -}}
  {{- $_ := set $context "runAsUser" 107 -}}
  {{- $_ := set $context "runAsGroup" 107 -}}
  {{- $_ := set $context "fsGroup" 107 -}}
  {{- $_ := set $context "fsGroupChangePolicy" "OnRootMismatch" -}}
  {{- /* Ports such as ssh's without a capability; one of the sysctls that Kubernetes calls safe. */ -}}
  {{- $_ := set $context "sysctls" (list (dict "name" "net.ipv4.ip_unprivileged_port_start" "value" "0")) -}}
{{- else -}}
  {{- $_ := set $context "runAsUser" 0 -}}
{{- end -}}
{{- include "berth.overlay" (list $context .Values.podSecurityContext) -}}
{{- toYaml $context -}}
{{- end }}

{{/* The container's. */}}
{{- define "berth.securityContext" -}}
{{- $capabilities := dict "drop" (list "ALL") -}}
{{- if ne .Values.securityLevel "restricted" -}}
  {{- $add := .Values.capabilities -}}
  {{- if eq (include "berth.network" .) "user" }}{{ $add = without $add "NET_ADMIN" "MKNOD" }}{{ end -}}
  {{- if $add }}{{ $_ := set $capabilities "add" $add }}{{ end -}}
{{- end -}}
{{- $context := dict "readOnlyRootFilesystem" true -}}
{{- if eq .kvm "privileged" -}}
  {{- $_ := set $context "privileged" true -}}
{{- else -}}
  {{- $_ := set $context "allowPrivilegeEscalation" false -}}
  {{- $_ := set $context "capabilities" $capabilities -}}
{{- end -}}
{{- include "berth.overlay" (list $context .Values.securityContext) -}}
{{- toYaml $context -}}
{{- end }}
