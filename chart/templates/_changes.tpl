{{/*
Changes that the cluster would refuse, that would part a pet from the image it is an overlay on, or
give it to another VM. Told beforehand, with the way out; without a cluster to ask there are none.
*/}}
{{- define "berth.petChanges" -}}
{{- $there := lookup "apps/v1" "StatefulSet" .Release.Namespace .name -}}
{{- if $there }}
{{- $wanted := dict -}}
{{- $changes := list -}}
{{- $grows := false -}}
{{- range include "berth.claims" . | fromYamlArray }}{{ $_ := set $wanted .metadata.name .spec }}{{ end -}}
{{- range $there.spec.volumeClaimTemplates -}}
  {{- $name := .metadata.name -}}
  {{- $old := include "berth.claimSummary" .spec -}}
  {{- $new := "nothing" -}}
  {{- with get $wanted $name }}{{ $new = include "berth.claimSummary" . }}{{ end -}}
  {{- if ne $old $new -}}
    {{- $changes = append $changes (printf "%s: %s to %s" $name $old $new) -}}
    {{- $size := include "berth.bytes" .spec.resources.requests.storage | int64 -}}
    {{- if and (eq $name "pet") (gt (include "berth.petSize" $ | include "berth.bytes" | int64) $size) }}{{ $grows = true }}{{ end -}}
  {{- end -}}
  {{- $_ := unset $wanted $name -}}
{{- end -}}
{{- range $name, $spec := $wanted -}}
  {{- $changes = append $changes (printf "%s: nothing to %s" $name (include "berth.claimSummary" $spec)) -}}
{{- end -}}
{{- if $changes }}
{{- $kubectl := printf "kubectl -n %s" .Release.Namespace }}
{{- /* What the command below would delete. */ -}}
{{- $bound := false }}
{{- range (lookup "v1" "PersistentVolumeClaim" .Release.Namespace "").items }}
  {{- $labels := dig "metadata" "labels" dict . -}}
  {{- $isOurs := and (eq (get $labels "app.kubernetes.io/name") "berth") (eq (get $labels "app.kubernetes.io/instance") $.Release.Name) -}}
  {{- if and $isOurs (ne (dig "status" "phase" "" .) "Pending") }}{{ $bound = true }}{{ end }}
{{- end }}
{{- if not $bound }}
- Kubernetes does not let the claims of a StatefulSet change ({{ join "; " $changes }}). They are Pending, there is nothing in them yet: // helm -n {{ .Release.Namespace }} uninstall {{ .Release.Name }} --wait // {{ $kubectl }} delete pvc -l app.kubernetes.io/name=berth,app.kubernetes.io/instance={{ .Release.Name }} // and then install it
{{- else }}
- Kubernetes does not let the claims of a StatefulSet change ({{ join "; " $changes }}). These commands change them all the same, and stop no VM:
{{- if $grows }} // {{ $kubectl }} patch pvc pet-{{ .name }}-0 -p '{"spec":{"resources":{"requests":{"storage":"{{ include "berth.petSize" . }}"}}}}' // (and so for each replica, where its storage class can grow a claim){{ end }} // {{ $kubectl }} delete statefulset {{ .name }} --cascade=orphan // and then this one again
{{- end }}
{{- end }}
{{- $claim := "" -}}
{{- range $there.spec.template.spec.volumes -}}
  {{- if eq .name "shared" }}{{ $claim = dig "persistentVolumeClaim" "claimName" "" . }}{{ end -}}
{{- end -}}
{{- $now := .Values.shared.enabled | ternary (include "berth.sharedClaim" .) "" -}}
{{- if ne $claim $now }}
- shared would change from {{ $claim | default "none" }} to {{ $now | default "none" }}, and the disks of {{ .name }} are overlays on images that are kept there; leave it as it is, or uninstall the release and delete its claims to start anew
{{- end }}
{{- include "berth.diskShrinks" (list . $there) }}
{{- end }}
{{- end }}

{{/* (list . StatefulSet): a disk smaller than what the pods that are there were asked for. */}}
{{- define "berth.diskShrinks" -}}
{{- $there := index . 1 -}}
{{- with index . 0 -}}
{{- $has := "" -}}
{{- range (first $there.spec.template.spec.containers).env -}}
  {{- if eq .name "VM_DISK_SIZE" }}{{ $has = .value }}{{ end -}}
{{- end -}}
{{- $wants := .Values.vm.diskSize -}}
{{- if and $has $wants (lt (include "berth.mebibytes" $wants | int64) (include "berth.mebibytes" $has | int64)) }}
{{- $claim := printf "pet-%s-0" .name -}}
{{- $phase := lookup "v1" "PersistentVolumeClaim" .Release.Namespace $claim | dig "status" "phase" "" -}}
{{- if eq $phase "Bound" }}
- vm.diskSize is {{ $wants }}, less than the {{ $has }} of the disk that is there (claim {{ $claim }}); disks do not shrink: leave it at {{ $has }}, or uninstall the release and delete the claim to start anew
{{- end }}
{{- end }}
{{- end -}}
{{- end }}

{{/* What cannot change in the spec of a claim template, in words. */}}
{{- define "berth.claimSummary" -}}
{{- $bytes := include "berth.bytes" .resources.requests.storage | int64 -}}
{{- printf "%dMi %s" (div $bytes 1048576) (join "," .accessModes) -}}
{{- if hasKey . "storageClassName" }}{{ printf " of class %q" .storageClassName }}{{ end -}}
{{- end }}

{{/*
Claims of another release that a VM's StatefulSet would find under the names of its own, and take:
`web` with a VM `db` names them as `web-db` does. Those without our labels somebody made for it.
*/}}
{{- define "berth.claimsOfOthers" -}}
{{- $owners := dict -}}
{{- range (lookup "v1" "PersistentVolumeClaim" .Release.Namespace "").items -}}
  {{- $labels := dig "metadata" "labels" dict . -}}
  {{- $owner := get $labels "app.kubernetes.io/instance" -}}
  {{- if and $owner (eq (get $labels "app.kubernetes.io/name") "berth") (ne $owner $.Release.Name) -}}
    {{- $_ := set $owners .metadata.name $owner -}}
  {{- end -}}
{{- end -}}
{{- range $vm := .vms -}}
  {{- $taken := dict -}}
  {{- range include "berth.claims" $vm | fromYamlArray -}}
    {{- $template := .metadata.name -}}
    {{- range $ordinal := until (int $vm.Values.replicas) -}}
      {{- $claim := printf "%s-%s-%d" $template $vm.name $ordinal -}}
      {{- with get $owners $claim }}{{ $_ := set $taken . (append (get $taken . | default list) $claim) }}{{ end -}}
    {{- end -}}
  {{- end -}}
{{- range $owner, $claims := $taken }}
{{- $kubectl := printf "kubectl -n %s" $.Release.Namespace }}
- {{ $vm.name }} would take over claims of release {{ $owner }} ({{ join ", " $claims }}), with all that is on them; choose another release name, fullnameOverride or name under vms. If {{ $owner }} has no more use for them, delete them, or hand them over as they are: // {{ $kubectl }} delete pvc {{ join " " $claims }} // {{ $kubectl }} label --overwrite pvc {{ join " " $claims }} app.kubernetes.io/instance={{ $.Release.Name }}
{{- end }}
{{- end }}
{{- end }}

{{- define "berth.sharedChanges" -}}
{{- if and .Values.shared.enabled (not .Values.shared.existingClaim) }}
{{- $there := lookup "v1" "PersistentVolumeClaim" .Release.Namespace (include "berth.sharedClaim" .) -}}
{{- if $there }}
{{- $spec := $there.spec -}}
{{- $class := .Values.shared.className | default .Values.className -}}
{{- $out := printf "uninstall the release and delete the claims of its VMs and %s to start anew, or leave it" (include "berth.sharedClaim" .) -}}
{{- if not (has .Values.shared.accessMode $spec.accessModes) }}
- shared.accessMode is {{ .Values.shared.accessMode }}, but the claim that is there has {{ join "," $spec.accessModes }}, which cannot change; {{ $out }}
{{- end }}
{{- if and $class (ne (trimSuffix "-" $class) (default "" $spec.storageClassName)) }}
- the class of the shared claim is {{ $class }}, but the claim that is there has {{ default "none" $spec.storageClassName }}, which cannot change; {{ $out }}
{{- end }}
{{- if lt (include "berth.bytes" .Values.shared.size | int64) (include "berth.bytes" $spec.resources.requests.storage | int64) }}
- shared.size is {{ .Values.shared.size }}, less than the {{ $spec.resources.requests.storage }} of the claim that is there; claims do not shrink
{{- end }}
{{- end }}
{{- end }}
{{- end }}
