{{/* MiB of a size such as 2Gi. */}}
{{- define "berth.mebibytes" -}}
{{- mul (regexFind "^[0-9]+" .) (get (dict "M" 1 "G" 1024 "T" 1048576) (regexFind "[MGT]" .)) -}}
{{- end }}

{{/* Bytes of any of Kubernetes' quantities, as a float. */}}
{{- define "berth.bytes" -}}
{{- $factors := dict "m" 0.001 "" 1 "k" 1e3 "M" 1e6 "G" 1e9 "T" 1e12 "P" 1e15 "E" 1e18
    "Ki" 1024 "Mi" 1048576 "Gi" 1073741824 "Ti" 1099511627776 "Pi" 1125899906842624 -}}
{{- $text := kindIs "string" . | ternary . (printf "%.0f" (float64 .)) -}}
{{- mulf (regexFind "^[0-9.]+" $text | float64) (get $factors (regexFind "[a-zA-Z]*$" $text) | default 1 | float64) | printf "%.0f" -}}
{{- end }}

{{/* One of them in words: Helm prints a large number as 2e+09. */}}
{{- define "berth.quantity" -}}
{{- kindIs "string" . | ternary . (include "berth.bytes" .) -}}
{{- end }}

{{/*
MiB that a pod needs besides the guest's memory: launcher.settings.load.overhead, rounded up. Page
tables are 1/512 of the guest's memory, each virtual CPU and the I/O thread have 8 MiB, an emulating
QEMU keeps translated code.
*/}}
{{- define "berth.overhead" -}}
{{- $memory := include "berth.mebibytes" .Values.vm.memory | int64 -}}
{{- $translated := include "berth.isEmulated" . | empty | ternary 0 128 -}}
{{- add 128 $translated (mul 8 (add .Values.vm.cpus 1)) (div (add $memory 511) 512) -}}
{{- end }}

{{/* Size of the pet's claim: as said, else the disk and a tenth, for qcow2's tables and the file system. */}}
{{- define "berth.petSize" -}}
{{- if .Values.pet.size -}}
{{- .Values.pet.size -}}
{{- else -}}
  {{- $disk := include "berth.mebibytes" .Values.vm.diskSize | int64 -}}
  {{- $image := .Values.shared.enabled | ternary "0" .Values.shared.size -}}
  {{- $image = divf (include "berth.bytes" $image | float64) 1048576 | ceil | int64 -}}
  {{- div (add (div (mul $disk 11) 10) $image 1023) 1024 -}}Gi
{{- end -}}
{{- end }}

{{/* Resources as computed, with the user's own laid over them, in YAML. */}}
{{- define "berth.resources" -}}
{{- $memory := printf "%dMi" (add (include "berth.mebibytes" .Values.vm.memory) (include "berth.overhead" .)) -}}
{{- $requests := dict "cpu" (printf "%dm" (mul 100 .Values.vm.cpus)) "memory" $memory "ephemeral-storage" "64Mi" -}}
{{- $limits := dict "memory" $memory -}}
{{- if contains "/" .kvm }}{{ $_ := set $limits .kvm 1 }}{{ end -}}
{{- $resources := dict "requests" $requests "limits" $limits -}}
{{- include "berth.overlay" (list $resources .Values.resources) -}}
{{- toYaml $resources -}}
{{- end }}
