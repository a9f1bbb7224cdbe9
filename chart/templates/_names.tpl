{{/*
The name of the release's objects. Where a name is a whole value, toYaml quotes it if YAML would take
it for something else: `on`, `no`, `123`.
*/}}
{{- define "berth.fullname" -}}
{{- .Values.fullnameOverride | default .Release.Name -}}
{{- end }}

{{/* What tells the pods of a release from all others. A StatefulSet's selector never changes. */}}
{{- define "berth.releaseSelector" -}}
app.kubernetes.io/name: berth
app.kubernetes.io/instance: {{ .Release.Name | toYaml }}
{{- end }}

{{/* The same for one VM of it. */}}
{{- define "berth.selector" -}}
{{ include "berth.releaseSelector" . }}
berth/vm: {{ .name | toYaml }}
{{- end }}

{{/* Labels of everything but pods and what is made from a StatefulSet's templates. */}}
{{- define "berth.labels" -}}
helm.sh/chart: {{ printf "%s-%s" .Chart.Name .Chart.Version | replace "+" "_" }}
{{ include "berth.releaseSelector" . }}
{{- with .name }}
berth/vm: {{ toYaml . }}
{{- end }}
app.kubernetes.io/version: {{ .Chart.AppVersion | quote }}
app.kubernetes.io/managed-by: {{ .Release.Service }}
{{- with .Values.labels }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{/* Keys of labels and of annotations that the chart sets, on pods or elsewhere: lists in YAML. */}}
{{- define "berth.ownLabels" -}}
[app.kubernetes.io/name, app.kubernetes.io/instance, app.kubernetes.io/version,
app.kubernetes.io/managed-by, app.kubernetes.io/component, berth/vm, helm.sh/chart]
{{- end }}
{{- define "berth.ownAnnotations" -}}
[checksum/guest, kubectl.kubernetes.io/default-container]
{{- end }}

{{/* metadata of an object: (list context name own-annotations) */}}
{{- define "berth.metadata" -}}
{{- $context := index . 0 -}}
name: {{ index . 1 | toYaml }}
labels:
  {{- include "berth.labels" $context | nindent 2 }}
{{- with merge (dict) (index . 2) $context.Values.annotations }}
annotations:
  {{- toYaml . | nindent 2 }}
{{- end }}
{{- end }}

{{- define "berth.serviceAccount" -}}
{{- .Values.serviceAccount.name | default (ternary (include "berth.fullname" .) "default" .Values.serviceAccount.create) -}}
{{- end }}

{{- define "berth.image" -}}
{{- if .Values.launcher.image.digest -}}
{{- printf "%s@%s" .Values.launcher.image.repository .Values.launcher.image.digest -}}
{{- else -}}
{{- printf "%s:%s" .Values.launcher.image.repository (.Values.launcher.image.tag | default .Chart.AppVersion) -}}
{{- end -}}
{{- end }}

{{/* storageClassName of a claim, from its own class and the release's: (list own release). */}}
{{- define "berth.storageClass" -}}
{{- with index . 0 | default (index . 1) -}}
storageClassName: {{ eq . "-" | ternary "" . | quote }}
{{- end -}}
{{- end }}
