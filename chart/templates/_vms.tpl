{{/*
First line of every template: checks the values, and makes the list .vms of the release's VMs, each a
context like the root one: its .Values are the top level with the VM's own laid over them, .name is
the name of its objects, .key its name under vms (empty when there is but one VM).
*/}}
{{- define "berth.prepare" -}}
{{- $vms := list -}}
{{- range $key, $own := .Values.vms | default (dict "" dict) -}}
  {{- $values := omit $.Values "vms" | deepCopy -}}
  {{- /* A checksum, a name, a password belong to their image: one of the VM's own does not inherit them. */ -}}
  {{- if dig "image" "source" "" ($own | default dict) -}}
    {{- $_ := set $values "image" (dict "source" "" "checksum" "" "target" "" "verify" $values.image.verify "credentialsSecret" "" "caConfigMap" $values.image.caConfigMap) -}}
  {{- end -}}
  {{- include "berth.overlay" (list $values ($own | default dict)) -}}
  {{- include "berth.defaultImage" $values.image -}}
  {{- $name := include "berth.fullname" $ -}}
  {{- if $key }}{{ $name = printf "%s-%s" $name $key }}{{ end -}}
  {{- $vms = append $vms (dict "Values" $values "Release" $.Release "Chart" $.Chart "key" $key "name" $name) -}}
{{- end -}}
{{- $_ := set . "vms" $vms -}}
{{- include "berth.validate" . -}}
{{- end }}

{{/* Lay a map over another in place: (list below above). Sprig's merge takes false, 0 and "" for not set. */}}
{{- define "berth.overlay" -}}
{{- $below := index . 0 -}}
{{- range $key, $value := index . 1 -}}
  {{- if and (kindIs "map" $value) (kindIs "map" (get $below $key)) -}}
    {{- include "berth.overlay" (list (get $below $key) $value) -}}
  {{- else -}}
    {{- $_ := set $below $key $value -}}
  {{- end -}}
{{- end -}}
{{- end }}

{{/* nat or user. */}}
{{- define "berth.network" -}}
{{- .Values.network.mode | default (eq .Values.securityLevel "restricted" | ternary "user" "nat") -}}
{{- end }}

{{/* Entries of service.ports in one shape, a list in YAML. targetPort is the VM's. */}}
{{- define "berth.ports" -}}
{{- range $name, $given := .Values.service.ports }}
{{- $port := kindIs "map" $given | ternary $given (dict "port" $given) }}
- name: {{ toYaml $name }}
  port: {{ int $port.port }}
  targetPort: {{ $port.targetPort | default $port.port | int }}
  protocol: {{ $port.protocol | default "TCP" }}
  {{- with $port.nodePort }}
  nodePort: {{ int . }}
  {{- end }}
  {{- with $port.appProtocol }}
  appProtocol: {{ toYaml . }}
  {{- end }}
{{- end }}
{{- end }}

{{/*
What comes in with network mode user, a comma list: as said, else ssh and the Service's ports. VNC's
own port may be among those.
*/}}
{{- define "berth.hostfwd" -}}
{{- $forwards := .Values.network.hostfwd -}}
{{- if not $forwards -}}
  {{- $forwards = list "tcp::22-:22" -}}
  {{- range include "berth.ports" . | fromYamlArray -}}
    {{- if not (and $.Values.vnc.enabled (eq (printf "%v/%s" .targetPort .protocol) "5900/TCP")) -}}
      {{- $forwards = append $forwards (printf "%s::%v-:%v" (lower .protocol) .targetPort .targetPort) -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- $forwards | uniq | join "," -}}
{{- end }}

{{/*
The pod's port that leads to a port of the VM, nothing where none does: (list context protocol port).
With nat they are the same; VNC's port is the pod's own, with either.
*/}}
{{- define "berth.podPort" -}}
{{- $context := index . 0 }}{{ $protocol := index . 1 | lower }}{{ $port := index . 2 | int -}}
{{- $isScreen := and $context.Values.vnc.enabled (eq (printf "%s/%d" $protocol $port) "tcp/5900") -}}
{{- if or $isScreen (eq (include "berth.network" $context) "nat") -}}
  {{- $port -}}
{{- else -}}
  {{- $found := "" -}}
  {{- range include "berth.hostfwd" $context | splitList "," | reverse -}}
    {{- if regexMatch (printf "^(hostfwd=)?%s:[^:]*:[0-9]+-[^:]*:%d$" $protocol $port) . -}}
      {{- $found = regexFind ":[0-9]+-" . | trimPrefix ":" | trimSuffix "-" -}}
    {{- end -}}
  {{- end -}}
  {{- $found -}}
{{- end -}}
{{- end }}

{{/* Debian, where neither a source nor the name of something that is there is given. */}}
{{- define "berth.defaultImage" -}}
{{- if not (or .source .target) -}}
  {{- $folder := "https://cloud.debian.org/images/cloud/trixie/latest" -}}
  {{- $_ := set . "source" (printf "%s/debian-13-genericcloud-amd64.qcow2" $folder) -}}
  {{- $_ := set . "checksum" (.checksum | default (printf "%s/SHA512SUMS" $folder)) -}}
{{- end -}}
{{- end }}
