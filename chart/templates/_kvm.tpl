{{/*
Where this VM's hardware virtualisation comes from: the name of a device-plugin resource, `privileged`,
or nothing. Kept in the context: looking at all nodes is dear. YAML reads an unquoted off as false.
*/}}
{{- define "berth.findKvm" -}}
{{- $wanted := toString .Values.kvm -}}
{{- if eq $wanted "auto" -}}
  {{- $wanted = include "berth.kvm, which lists nodes. Without the right to do that set kvm to a resource's name, privileged or off" . -}}
{{- end -}}
{{- $_ := set . "kvm" (has $wanted (list "off" "false") | ternary "" $wanted) -}}
{{- end }}

{{/*
The resource for /dev/kvm that nodes offer; nothing where none does, or without a cluster to ask.
Helm ends when a lookup is forbidden, and says no more of it than the name of the template.
*/}}
{{- define "berth.kvm, which lists nodes. Without the right to do that set kvm to a resource's name, privileged or off" -}}
{{- $offered := dict -}}
{{- range (lookup "v1" "Node" "" "").items -}}
  {{- range $name, $count := .status.allocatable -}}
    {{- if and (hasSuffix "/kvm" $name) (ne (toString $count) "0") }}{{ $_ := set $offered $name true }}{{ end -}}
  {{- end -}}
{{- end -}}
{{- $known := list "devices.kubevirt.io/kvm" "squat.ai/kvm" "smarter-devices/kvm" -}}
{{- range concat $known (keys $offered | sortAlpha) | reverse -}}
  {{- if hasKey $offered . }}{{ $_ := set $offered "chosen" . }}{{ end -}}
{{- end -}}
{{- get $offered "chosen" -}}
{{- end }}

{{/*
Whether QEMU may have to emulate: then its translated code needs memory, too.
*/}}
{{- define "berth.isEmulated" -}}
{{- if ne (include "berth.accel" .) "kvm" }}true{{ end -}}
{{- end }}

{{/*
A node may hand /dev/kvm to every pod: then auto finds it. And where it is asked for by auto, a pod
without any right may not be let in by the node's mode of the device: then it is better to emulate.
*/}}
{{- define "berth.accel" -}}
{{- if not (hasKey . "kvm") }}{{ include "berth.findKvm" . }}{{ end -}}
{{- $isAuto := eq (toString .Values.kvm) "auto" -}}
{{- if and .kvm (not (and $isAuto (eq .Values.securityLevel "restricted"))) -}}kvm
{{- else if $isAuto -}}auto
{{- else -}}tcg
{{- end -}}
{{- end }}
