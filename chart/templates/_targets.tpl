{{/*
What `helm test` connects to, a list in YAML of `host:port:greeting`: what a pod of the namespace can
reach for certain. A network policy keeps VNC from it, and who is let in by rules of the user's own is
not known.
*/}}
{{- define "berth.targets" -}}
{{- $targets := list }}
{{- range $vm := .vms }}
{{- $port := include "berth.podPort" (list $vm "tcp" .Values.testPort) | int }}
{{- if and .Values.networkPolicy.enabled (not (has (toString $port) (include "berth.openPorts" . | fromYamlArray))) }}{{ $port = 0 }}{{ end }}
{{- range $ordinal := until (int .Values.replicas) }}
{{- $host := printf "%s-%d.%s" $vm.name $ordinal $vm.name }}
{{- if $port }}
{{- $targets = append $targets (printf "%s:%d:%s" $host $port (eq (int $vm.Values.testPort) 22 | ternary "SSH-" "")) }}
{{- end }}
{{- if and $vm.Values.vnc.enabled (not $vm.Values.networkPolicy.enabled) }}
{{- $targets = append $targets (printf "%s:5900:RFB " $host) }}
{{- end }}
{{- end }}
{{- end }}
{{- toYaml $targets }}
{{- end }}

{{/* TCP ports of the pod that the network policy opens to everyone, as text, a list in YAML. */}}
{{- define "berth.openPorts" -}}
{{- $open := list }}
{{- if not .Values.networkPolicy.ingress }}
{{- range include "berth.policyPorts" . | fromYamlArray }}
{{- if eq .protocol "TCP" }}{{ $open = append $open (toString .port) }}{{ end }}
{{- end }}
{{- end }}
{{- toYaml $open }}
{{- end }}

{{/* Ports that the network policy opens by itself: ssh's and the Service's, a list in YAML. */}}
{{- define "berth.policyPorts" -}}
{{- $vm := . }}
{{- $ports := list }}
{{- range prepend (include "berth.ports" . | fromYamlArray) (dict "targetPort" 22 "protocol" "TCP") }}
{{- $port := include "berth.podPort" (list $vm .protocol .targetPort) | int }}
{{- if $port }}{{ $ports = append $ports (dict "port" $port "protocol" .protocol) }}{{ end }}
{{- end }}
{{- toYaml (uniq $ports) }}
{{- end }}
