{{/*
What is fine value by value but not together: all of it at once. Each problem is a line that begins
with a hyphen; ` // ` in it is where it is broken, as before a command.
*/}}
{{- define "berth.validate" -}}
{{- $problems := include "berth.releaseProblems" . | splitList "\n" -}}
{{- range .vms -}}
  {{- $where := .key | empty | ternary "" (printf "vms.%s: " .key) -}}
  {{- range include "berth.problems" . | splitList "\n" -}}
    {{- if hasPrefix "- " . }}{{ $problems = append $problems (printf "- %s%s" $where (trimPrefix "- " .)) }}{{ end -}}
  {{- end -}}
{{- end -}}
{{- with without $problems "" | uniq }}
{{- printf "\n\nThe values do not fit together:\n  %s\n" (join "\n  " .) | replace " // " "\n      " | fail }}
{{- end -}}
{{- end }}

{{- define "berth.releaseProblems" -}}
{{- if and .Values.shared.existingClaim (not .Values.shared.enabled) }}
- shared.existingClaim is {{ .Values.shared.existingClaim }}, but shared.enabled is false; keep one of them
{{- end }}
{{- $count := 0 }}{{ range .vms }}{{ $count = add $count (int .Values.replicas) }}{{ end }}
{{- if and .Values.shared.enabled (eq .Values.shared.accessMode "ReadWriteOncePod") (not .Values.shared.existingClaim) (gt $count 1) }}
- shared.accessMode is ReadWriteOncePod, so one pod can use the volume, for {{ $count }} VMs; accepted: ReadWriteOnce or ReadWriteMany
{{- end }}
{{- include "berth.ownKeyProblems" (list "labels" .Values.labels (include "berth.ownLabels" . | fromYamlArray)) }}
{{- include "berth.ownKeyProblems" (list "annotations" .Values.annotations (include "berth.ownAnnotations" . | fromYamlArray)) }}
{{- range .vms }}
{{- if hasKey $.Values.vms (trimSuffix "-ports" .key) }}{{ if hasSuffix "-ports" .key }}
- vms.{{ .key }} is the name that the Service of vms.{{ trimSuffix "-ports" .key }} has; choose another one
{{- end }}{{ end }}
{{- end }}
{{- include "berth.diskProblems" . }}
{{- include "berth.sharedChanges" . }}
{{- include "berth.claimsOfOthers" . }}
{{- end }}

{{/* Disks that the user has made, each for one VM. One without replicas hands its disks on. */}}
{{- define "berth.diskProblems" -}}
{{- $users := dict -}}
{{- range $vm := .vms -}}
  {{- range $name, $disk := .Values.extraDisks -}}
    {{- if and $disk.claimName (gt (int $vm.Values.replicas) 0) -}}
      {{- $where := $vm.key | empty | ternary "" (printf "vms.%s: " $vm.key) -}}
      {{- $file := $disk.file | empty | ternary "" (printf "%s of " (default "" $disk.file | clean)) -}}
      {{- $claim := printf "%sclaim %s" $file $disk.claimName -}}
      {{- $entries := printf "%sextraDisks.%s" $where $name | append (get $users $claim | default list) -}}
      {{- $_ := set $users $claim $entries -}}
    {{- end -}}
  {{- end -}}
{{- end -}}
{{- range $disk, $names := $users }}
{{- if gt (len $names) 1 }}
- {{ join " and " $names }} are one disk, {{ $disk }}: two VMs that write to one disk destroy it, and so does one that has it twice
{{- end }}
{{- end }}
{{- end }}

{{- define "berth.problems" -}}
{{- include "berth.nameProblems" . }}
{{- include "berth.guestProblems" . }}
{{- include "berth.accessProblems" . }}
{{- include "berth.rightProblems" . }}
{{- include "berth.sizeProblems" . }}
{{- include "berth.podProblems" . }}
{{- include "berth.petChanges" . }}
{{- end }}

{{- define "berth.nameProblems" -}}
{{- /* Kubernetes adds 11 characters to the StatefulSet's name, in a label that may have 63. */ -}}
{{- if gt (len .name) 52 }}
- the VM would be named {{ .name }}, {{ len .name }} characters; accepted: 52 or less (hint: fullnameOverride, or a shorter release name)
{{- end }}
{{- if not (regexMatch "^[a-z]([-a-z0-9]*[a-z0-9])?$" .name) }}
- the VM would be named {{ .name }}; accepted: lower-case letters, digits and hyphens, and a letter first, since it is a host name (hint: fullnameOverride)
{{- end }}
{{- end }}

{{- define "berth.guestProblems" -}}
{{- $own := include "berth.hasOwnUserdata" . -}}
{{- /* Without a config drive the image has its own users, and a key would not get there. */ -}}
{{- if not (or (include "berth.keys" . | trim) .Values.userdata $own (eq .Values.configDrive.type "none")) }}
- sshKey is empty and there is no userdata, so nobody could log in; set sshKey to a public key (--set-file sshKey=$HOME/.ssh/id_ed25519.pub), or userdata to what the guest needs
{{- end }}
{{- if include "berth.keys" . | contains "PRIVATE KEY" }}
- sshKey is a private key; set it to the public one, whose file ends in .pub
{{- else }}
{{- /* Only the first: further lines may be the inside of a private key of another form. */ -}}
{{- with include "berth.noKeys" . | fromYamlArray | first }}
{{- $shown := printf "%.40s" . }}
- sshKey has {{ $shown }}{{ eq $shown . | ternary "" "..." }}, which is no public key; accepted: lines as in authorized_keys, such as ssh-ed25519 and what ssh-keygen wrote after it (hint: --set-file sshKey=$HOME/.ssh/id_ed25519.pub reads them from a file)
{{- end }}
{{- end }}
{{- if and $own .Values.userdata }}
- userdata and userdataFrom are both set; keep one of them
{{- end }}
{{- if and .Values.userdataFrom.configMap .Values.userdataFrom.secret }}
- userdataFrom.configMap and userdataFrom.secret are both set; keep one of them
{{- end }}
{{- if and (include "berth.hasOwnMetadata" .) .Values.metadata }}
- metadata and metadataFrom are both set; keep one of them
{{- end }}
{{- if and .Values.metadataFrom.configMap .Values.metadataFrom.secret }}
- metadataFrom.configMap and metadataFrom.secret are both set; keep one of them
{{- end }}
{{- if and .Values.image.checksum (not .Values.image.source) }}
- image.checksum is set without image.source: there is nothing to check
{{- end }}
{{- if and (eq .Values.configDrive.type "ignition") (not (or .Values.userdata $own)) }}
- configDrive.type is ignition, but there is no userdata; set it to an Ignition config
{{- end }}
{{- end }}

{{- define "berth.accessProblems" -}}
{{- if and .Values.vnc.open .Values.vnc.existingSecret }}
- vnc.open is true and vnc.existingSecret is {{ .Values.vnc.existingSecret }}; keep one of them
{{- end }}
{{- if and (not .Values.vnc.enabled) (or .Values.vnc.open .Values.vnc.existingSecret) }}
- vnc.enabled is false, so vnc.open and vnc.existingSecret have no meaning; leave them out
{{- end }}
{{- $forwarded := include "berth.hostfwd" . | splitList "," -}}
{{- $isUser := eq (include "berth.network" .) "user" -}}
{{- if and .Values.network.hostfwd (not $isUser) }}
- network.hostfwd is for network.mode user; with nat every port leads to the VM
{{- end }}
{{- if and .Values.network.podPorts $isUser }}
- network.podPorts is for network.mode nat; with user only what network.hostfwd says leads to the VM
{{- end }}
{{- if and $isUser (ne .Values.network.natBackend "auto") }}
- network.natBackend is {{ .Values.network.natBackend }}, and network.mode user translates no addresses; leave it out
{{- end }}
{{- if and $isUser (not .Values.network.dhcp) }}
- network.dhcp is false, and with network.mode user there is always DHCP; leave it out
{{- end }}
{{- if and .Values.vnc.enabled (regexMatch "tcp:[^,]*:5900-" (join "," .Values.network.hostfwd)) }}
- network.hostfwd takes port 5900, which is VNC's; choose another one, or set vnc.enabled to false
{{- end }}
{{- if ne (empty .Values.network.vmIP) (empty .Values.network.vmGateway) }}
- network.vmIP and network.vmGateway are the two hosts of one /30; set both or neither
{{- end }}
{{- $port := int .Values.probes.readiness.port -}}
{{- if and $port .Values.probes.readiness.agent }}
- probes.readiness.port and probes.readiness.agent are both set; keep one of them
{{- end }}
{{- if and (eq $port 5900) .Values.vnc.enabled }}
- probes.readiness.port is 5900, which is VNC's and no port of the VM
{{- end }}
{{- if and $port $isUser }}
- probes.readiness.port is {{ $port }}, but with network.mode user QEMU itself takes every connection, whatever the VM does; leave it out, or use probes.readiness.agent
{{- end }}
{{- $port = int .Values.testPort -}}
{{- if and $isUser (not (has $port (list 0 22))) }}
- testPort is {{ $port }}, but with network.mode user QEMU itself takes every connection, whatever the VM does; accepted: 22, where ssh's greeting can only be the VM's, or 0
{{- end }}
{{- range include "berth.ports" . | fromYamlArray }}
{{- if and .nodePort (eq $.Values.service.type "ClusterIP") }}
- service.ports.{{ .name }} has a nodePort, but service.type is ClusterIP; accepted: NodePort or LoadBalancer
{{- end }}
{{- if and $isUser (eq .protocol "SCTP") }}
- service.ports.{{ .name }} is SCTP, which network.mode user cannot forward
{{- else if not (include "berth.podPort" (list $ .protocol .targetPort)) }}
- service.ports.{{ .name }} leads to the VM's {{ lower .protocol }} port {{ .targetPort }}, which network.hostfwd does not let in ({{ join ", " $forwarded }})
{{- end }}
{{- end }}
{{- end }}

{{- define "berth.rightProblems" -}}
{{- if eq .Values.securityLevel "restricted" }}
{{- if eq (include "berth.network" .) "nat" }}
- securityLevel is restricted and network.mode nat, which needs the capability NET_ADMIN; leave network.mode out
{{- end }}
{{- if eq (toString .Values.kvm) "privileged" }}
- securityLevel is restricted and kvm privileged; name a device-plugin resource as kvm, or set it to off
{{- end }}
{{- end }}
{{- end }}

{{- define "berth.sizeProblems" -}}
{{- if lt (include "berth.mebibytes" .Values.vm.memory | int64) 64 }}
- vm.memory is {{ .Values.vm.memory }}; accepted: 64Mi or more
{{- end }}
{{- if not (or .Values.pet.size .Values.vm.diskSize) }}
- vm.diskSize and pet.size are both empty; without a vm.diskSize set pet.size to what the image's disk needs
{{- else if .Values.vm.diskSize }}
{{- $disk := mul 1048576 (include "berth.mebibytes" .Values.vm.diskSize) -}}
{{- if lt (include "berth.petSize" . | include "berth.bytes" | int64) $disk }}
- pet.size is {{ .Values.pet.size }}, less than the disk of {{ .Values.vm.diskSize }} that is kept on it (vm.diskSize)
{{- end }}
{{- end }}
{{- with dig "limits" "memory" "" .Values.resources }}
{{- $needed := add (include "berth.mebibytes" $.Values.vm.memory) (include "berth.overhead" $) -}}
{{- if lt (include "berth.bytes" . | int64) (mul 1048576 $needed) }}
- resources.limits.memory is {{ include "berth.quantity" . }}, less than the {{ $needed }}Mi that a VM with vm.memory {{ $.Values.vm.memory }} needs; leave it out, or lower vm.memory
{{- end }}
{{- end }}
{{- with dig "requests" "memory" "" .Values.resources }}
{{- $limit := include "berth.resources" $ | fromYaml | dig "limits" "memory" "" }}
{{- if and $limit (gt (include "berth.bytes" . | int64) (include "berth.bytes" $limit | int64)) }}
- resources.requests.memory is {{ include "berth.quantity" . }}, more than the limit of {{ include "berth.quantity" $limit }}; set resources.limits.memory to as much, or leave it out
{{- end }}
{{- end }}
{{- end }}

{{/* Keys that would be there twice: (list value's-name value the-chart's-own). */}}
{{- define "berth.ownKeyProblems" -}}
{{- $where := index . 0 }}{{ $own := index . 2 }}
{{- range $key, $_ := index . 1 }}
{{- if has $key $own }}
- {{ $where }} sets {{ $key }}, which the chart itself sets; leave it out
{{- end }}
{{- end }}
{{- end }}

{{- define "berth.podProblems" -}}
{{- include "berth.ownKeyProblems" (list "podLabels" .Values.podLabels (include "berth.ownLabels" . | fromYamlArray)) }}
{{- include "berth.ownKeyProblems" (list "podAnnotations" .Values.podAnnotations (include "berth.ownAnnotations" . | fromYamlArray)) }}
{{- include "berth.ownKeyProblems" (list "service.spec" .Values.service.spec (list "type" "selector" "ports")) }}
{{- $several := gt (int .Values.replicas) 1 -}}
{{- range $name, $disk := .Values.extraDisks }}
{{- if eq (empty $disk.size) (empty $disk.claimName) }}
- extraDisks.{{ $name }} needs either size, for a claim of its own, or claimName, for one that is there
{{- end }}
{{- if and $disk.file (not $disk.claimName) }}
- extraDisks.{{ $name }}.file is for a claim that is there (claimName)
{{- end }}
{{- if and $disk.claimName $disk.className }}
- extraDisks.{{ $name }}.className is for a claim of its own (size)
{{- end }}
{{- if and $disk.claimName $several }}
- extraDisks.{{ $name }}.claimName is one disk, and replicas is {{ int $.Values.replicas }}: two VMs that write to one disk destroy it
{{- end }}
{{- end }}
{{- $staying := include "berth.staying" . | int }}
{{- if and .Values.podDisruptionBudget.enabled $several (gt $staying 0) (include "berth.isOnOneNode" .) }}
- podDisruptionBudget keeps {{ $staying }} of {{ int .Values.replicas }} replicas that a ReadWriteOnce shared volume keeps on one node: the first one to leave it would wait for the others, and they for it, so the node could never be drained; set shared.accessMode to ReadWriteMany, shared.enabled to false, or podDisruptionBudget.maxUnavailable to 100%
{{- end }}
{{- $set := list -}}
{{- if .Values.extraEnv -}}
  {{- range include "berth.env" . | fromYamlArray }}{{ $set = append $set .name }}{{ end -}}
{{- end -}}
{{- range .Values.extraEnv }}
{{- if has .name $set }}
- extraEnv sets {{ .name }}, which the chart sets from a value of its own
{{- end }}
{{- end }}
{{- $taken := list "pet" "shared" "userdata" "metadata" "vnc" "image-credentials" "authorities" "run" -}}
{{- range .Values.extraVolumes }}
{{- if has .name $taken }}
- extraVolumes has {{ .name }}, which is a volume of the chart's own; choose another name
{{- end }}
{{- end }}
{{- $taken := list "/pet" "/shared" "/image" "/userdata" "/metadata" "/run/berth" "/run/secrets/vnc" "/run/secrets/image" "/run/authorities" -}}
{{- range .Values.extraVolumeMounts }}
{{- if has (.mountPath | trimSuffix "/") $taken }}
- extraVolumeMounts mounts {{ .name }} at {{ .mountPath }}, where the chart mounts a volume of its own
{{- end }}
{{- end }}
{{- end }}
