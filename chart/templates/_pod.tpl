{{/* Probes. They need nothing in the guest, unless readiness asks for its port or its agent. */}}
{{- define "berth.probes" -}}
startupProbe:
  exec:
    command: [berth, probe, startup]
  periodSeconds: 5
  timeoutSeconds: 10
  failureThreshold: {{ div (add .Values.probes.startup.timeout 4) 5 }}
{{- if .Values.probes.readiness.enabled }}
readinessProbe:
  {{- if .Values.probes.readiness.port }}
  tcpSocket:
    port: {{ int .Values.probes.readiness.port }}
  {{- else }}
  exec:
    command: [berth, probe, ready{{ if .Values.probes.readiness.agent }}, --agent{{ end }}]
  {{- end }}
  periodSeconds: {{ int .Values.probes.readiness.period }}
  timeoutSeconds: 10
{{- end }}
{{- if .Values.probes.liveness.enabled }}
livenessProbe:
  exec:
    command: [berth, probe, alive]
  periodSeconds: {{ int .Values.probes.liveness.period }}
  timeoutSeconds: 20
  failureThreshold: 4
{{- end }}
{{- end }}

{{/* Name of the shared claim. */}}
{{- define "berth.sharedClaim" -}}
{{- .Values.shared.existingClaim | default (printf "%s-shared" (include "berth.fullname" .)) -}}
{{- end }}

{{/* The pod's volumes besides the claims that the StatefulSet makes. */}}
{{- define "berth.volumes" -}}
{{ include "berth.guestVolumes" . }}
{{- with include "berth.vncSecret" . }}
- name: vnc
  secret:
    secretName: {{ toYaml . }}
    items: [{key: password, path: password}]
    defaultMode: 256 # 0400
{{- end }}
{{- with .Values.image.credentialsSecret }}
- name: image-credentials
  secret:
    secretName: {{ toYaml . }}
    defaultMode: 256 # 0400
{{- end }}
{{- with .Values.image.caConfigMap }}
- name: authorities
  configMap:
    name: {{ toYaml . }}
    items: [{key: ca.crt, path: ca.crt}]
{{- end }}
- name: run
  emptyDir: {}
{{- if .Values.shared.enabled }}
- name: shared
  persistentVolumeClaim:
    claimName: {{ include "berth.sharedClaim" . | toYaml }}
{{- end }}
{{- range $name, $disk := .Values.extraDisks }}
{{- if $disk.claimName }}
- name: disk-{{ $name }}
  persistentVolumeClaim:
    claimName: {{ $disk.claimName | toYaml }}
{{- end }}
{{- end }}
{{- with .Values.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Where the launcher looks for them. Nothing else is written to. */}}
{{- define "berth.volumeMounts" -}}
- name: pet
  mountPath: {{ .Values.shared.enabled | ternary "/pet" "/image" }}
{{- if .Values.shared.enabled }}
- name: shared
  mountPath: /shared
{{- end }}
- name: userdata
  mountPath: /userdata
  readOnly: true
{{- if or (include "berth.hasOwnMetadata" .) (include "berth.guestMetadata" .) }}
- name: metadata
  mountPath: /metadata
  readOnly: true
{{- end }}
{{- if include "berth.vncSecret" . }}
- name: vnc
  mountPath: /run/secrets/vnc
  readOnly: true
{{- end }}
{{- if .Values.image.credentialsSecret }}
- name: image-credentials
  mountPath: /run/secrets/image
  readOnly: true
{{- end }}
{{- if .Values.image.caConfigMap }}
- name: authorities
  mountPath: /run/authorities
  readOnly: true
{{- end }}
- name: run
  mountPath: /run/berth
{{- range $name, $disk := .Values.extraDisks }}
{{- if $disk.file }}
- name: disk-{{ $name }}
  mountPath: /dev/disks/{{ $name }}
  subPath: {{ $disk.file | toYaml }}
{{- end }}
{{- end }}
{{- with .Values.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/*
Whether the VMs of the release have to be on one node: a ReadWriteOnce volume is attached to one.
What a claim of the user's own is like, they know themselves.
*/}}
{{- define "berth.isOnOneNode" -}}
{{- if and .Values.shared.enabled (eq .Values.shared.accessMode "ReadWriteOnce") (not .Values.shared.existingClaim) }}true{{ end -}}
{{- end }}

{{/*
Pods on another node would wait for that volume for ever, and the scheduler does not know, so it is
told. Always, or scaling would change and restart the first pod.
*/}}
{{- define "berth.affinity" -}}
{{- $affinity := deepCopy .Values.affinity -}}
{{- if and (include "berth.isOnOneNode" .) (not (hasKey $affinity "podAffinity")) -}}
  {{- $labels := include "berth.releaseSelector" . | fromYaml -}}
  {{- $_ := set $labels "app.kubernetes.io/component" "vm" -}}
  {{- $pods := dict "matchLabels" $labels -}}
  {{- $term := dict "topologyKey" "kubernetes.io/hostname" "labelSelector" $pods -}}
  {{- $_ := set $affinity "podAffinity" (dict "requiredDuringSchedulingIgnoredDuringExecution" (list $term)) -}}
{{- end -}}
{{- with $affinity }}{{ toYaml . }}{{ end -}}
{{- end }}

{{/* How many replicas podDisruptionBudget keeps from being evicted; percentages are rounded up. */}}
{{- define "berth.staying" -}}
{{- $replicas := int .Values.replicas -}}
{{- $isMinimum := ne (toString .Values.podDisruptionBudget.minAvailable) "" -}}
{{- $given := ternary .Values.podDisruptionBudget.minAvailable .Values.podDisruptionBudget.maxUnavailable $isMinimum | toString -}}
{{- $count := trimSuffix "%" $given | int -}}
{{- if hasSuffix "%" $given }}{{ $count = div (add (mul $count $replicas) 99) 100 }}{{ end -}}
{{- $isMinimum | ternary (min $count $replicas) (sub $replicas (min $count $replicas)) -}}
{{- end }}
