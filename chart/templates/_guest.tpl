{{/* The lines of sshKey that are keys, a list in YAML. */}}
{{- define "berth.keys" -}}
{{- range splitList "\n" .Values.sshKey }}
{{- with trim . }}
{{- if not (hasPrefix "#" .) }}
- {{ . | quote }}
{{- end }}
{{- end }}
{{- end }}
{{- end }}

{{/*
Those that are no key, after sshd(8), "AUTHORIZED_KEYS FILE FORMAT": maybe options, which have blanks
only in quotes, then type and base64. That begins with three zero bytes, of the type's length.
*/}}
{{- define "berth.noKeys" -}}
{{- $options := `([^" \t]|"(\\"|[^"])*")+[ \t]+` -}}
{{- $key := `(ssh|ecdsa|sk)-[-.@0-9A-Za-z]+[ \t]+AAAA[+/0-9A-Za-z]+={0,2}` -}}
{{- range include "berth.keys" . | fromYamlArray }}
{{- if not (regexMatch (printf `^(%s)?%s([ \t]|$)` $options $key) .) }}
- {{ . | quote }}
{{- end }}
{{- end }}
{{- end }}

{{/*
The user-data. cloud-init gives ssh_authorized_keys to the image's default user, and to root too
unless disable_root says otherwise, which is what most images say.
*/}}
{{- define "berth.userdata" -}}
{{- if .Values.userdata -}}
{{- .Values.userdata -}}
{{- else -}}
#cloud-config
disable_root: false
ssh_pwauth: false
ssh_authorized_keys:
  {{- include "berth.keys" . | trim | nindent 2 }}
{{ end -}}
{{- end }}

{{/* The metadata, in YAML; empty if there is nothing to say. */}}
{{- define "berth.guestMetadata" -}}
{{- $metadata := deepCopy .Values.metadata -}}
{{- $keys := include "berth.keys" . | fromYamlArray -}}
{{- if and $keys (not (or (hasKey $metadata "public-keys") (hasKey $metadata "public_keys"))) -}}
  {{- $_ := set $metadata "public_keys" $keys -}}
{{- end -}}
{{- with $metadata }}{{ toYaml . }}{{ end -}}
{{- end }}

{{/* Whether the user-data, the metadata come from an object of the user's own. */}}
{{- define "berth.hasOwnUserdata" -}}
{{- with .Values.userdataFrom.configMap | default .Values.userdataFrom.secret }}{{ . }}{{ end -}}
{{- end }}
{{- define "berth.hasOwnMetadata" -}}
{{- with .Values.metadataFrom.configMap | default .Values.metadataFrom.secret }}{{ . }}{{ end -}}
{{- end }}

{{/* Volume of the user-data and of the metadata, each a folder with a file of the same name. */}}
{{- define "berth.guestVolumes" -}}
- name: userdata
  {{- if .Values.userdataFrom.configMap }}
  configMap:
    name: {{ .Values.userdataFrom.configMap | toYaml }}
    items: [{key: {{ .Values.userdataFrom.key | quote }}, path: userdata}]
  {{- else if .Values.userdataFrom.secret }}
  secret:
    secretName: {{ .Values.userdataFrom.secret | toYaml }}
    items: [{key: {{ .Values.userdataFrom.key | quote }}, path: userdata}]
  {{- else if eq .Values.userdataIn "Secret" }}
  secret:
    secretName: {{ .name }}-userdata
  {{- else }}
  configMap:
    name: {{ .name }}-userdata
  {{- end }}
{{- if .Values.metadataFrom.configMap }}
- name: metadata
  configMap:
    name: {{ .Values.metadataFrom.configMap | toYaml }}
    items: [{key: {{ .Values.metadataFrom.key | quote }}, path: metadata}]
{{- else if .Values.metadataFrom.secret }}
- name: metadata
  secret:
    secretName: {{ .Values.metadataFrom.secret | toYaml }}
    items: [{key: {{ .Values.metadataFrom.key | quote }}, path: metadata}]
{{- else if include "berth.guestMetadata" . }}
- name: metadata
  configMap:
    name: {{ .name }}-metadata
{{- end }}
{{- end }}
