{{/*
Claims that the StatefulSet makes for each of its pods. They can never be changed, so nothing is in
them that a new version of the chart or a new label would change.
*/}}
{{- define "berth.claims" -}}
- metadata:
    name: pet
    labels:
      {{- include "berth.selector" . | nindent 6 }}
  spec:
    accessModes: [{{ .Values.pet.accessMode }}]
    {{- with include "berth.storageClass" (list .Values.pet.className .Values.className) }}
    {{ . }}
    {{- end }}
    resources:
      requests:
        storage: {{ include "berth.petSize" . | toYaml }}
{{- range $name, $disk := .Values.extraDisks }}
{{- if $disk.size }}
- metadata:
    name: disk-{{ $name }}
    labels:
      {{- include "berth.selector" $ | nindent 6 }}
  spec:
    accessModes: [{{ $.Values.pet.accessMode }}]
    volumeMode: Block
    {{- with include "berth.storageClass" (list $disk.className $.Values.className) }}
    {{ . }}
    {{- end }}
    resources:
      requests:
        storage: {{ $disk.size | toYaml }}
{{- end }}
{{- end }}
{{- end }}

{{/*
Block volumes among extraDisks; the launcher takes everything in DISKS_DIR, in name order. That is
below /dev, because the launcher gives devices to QEMU's user, and the container's own file system is
read-only.
*/}}
{{- define "berth.volumeDevices" -}}
{{- $names := list -}}
{{- range $name, $disk := .Values.extraDisks -}}
  {{- if not $disk.file }}{{ $names = append $names $name }}{{ end -}}
{{- end -}}
{{- with $names -}}
volumeDevices:
{{- range . }}
  - name: disk-{{ . }}
    devicePath: /dev/disks/{{ . }}
{{- end }}
{{- end -}}
{{- end }}
