{{/*
The launcher's settings. What is empty or the launcher's own default is left out. ON_SMALLER_SIZE:
an upgrade to a smaller disk is refused here already (berth.petChanges); a rollback asks nobody, and
should not take the VM away because its disk has grown since.
*/}}
{{- define "berth.env" -}}
{{- $isUser := eq (include "berth.network" .) "user" -}}
{{- $isIgnition := eq .Values.configDrive.type "ignition" -}}
{{- $settings := list
    (list "IMG_SOURCE" .Values.image.source)
    (list "IMG_CHECKSUM" .Values.image.checksum)
    (list "IMG_TARGET" .Values.image.target)
    (list "IMG_VERIFY" .Values.image.verify "quick")
    (list "IMG_HEADERS_FILE" (.Values.image.credentialsSecret | empty | ternary "" "/run/secrets/image/headers"))
    (list "IMG_NETRC_FILE" (.Values.image.credentialsSecret | empty | ternary "" "/run/secrets/image/netrc"))
    (list "REQUESTS_CA_BUNDLE" (.Values.image.caConfigMap | empty | ternary "" "/run/authorities/ca.crt"))
    (list "VM_CPUS" .Values.vm.cpus)
    (list "VM_MEMORY" .Values.vm.memory)
    (list "VM_DISK_SIZE" .Values.vm.diskSize)
    (list "ON_SMALLER_SIZE" (.Values.vm.diskSize | empty | ternary "" "keep"))
    (list "ACCEL" (include "berth.accel" .) "auto")
    (list "NETWORK" ($isUser | ternary "user" ""))
    (list "HOSTFWD" ($isUser | ternary (include "berth.hostfwd" .) ""))
    (list "POD_PORTS" (join "," .Values.network.podPorts))
    (list "VM_IP" .Values.network.vmIP)
    (list "VM_GW" .Values.network.vmGateway)
    (list "NO_DHCP" (.Values.network.dhcp | ternary "" "yes"))
    (list "NAT_BACKEND" .Values.network.natBackend "auto")
    (list "CONFIG_DRIVE" ($isIgnition | ternary "none" .Values.configDrive.type) "openstack")
    (list "CONFIG_DRIVE_BUS" (has .Values.configDrive.type (list "ignition" "none") | ternary "" .Values.configDrive.bus) "virtio")
    (list "IGNITION_CONFIG_FILE" ($isIgnition | ternary "/userdata/userdata" ""))
    (list "NO_VNC" (.Values.vnc.enabled | ternary "" "yes"))
    (list "VNC_PASSWORD_FILE" (include "berth.vncSecret" . | empty | ternary "" "/run/secrets/vnc/password"))
    (list "DISKS_DIR" (.Values.extraDisks | empty | ternary "" "/dev/disks"))
    (list "STOP_TIMEOUT" .Values.stopTimeout)
    (list "ON_POWEROFF" .Values.onPoweroff "restart")
    (list "ON_CRASH" .Values.onCrash "restart")
    (list "LOG_LEVEL" .Values.log.level "info")
    (list "LOG_FORMAT" .Values.log.format "text")
-}}
{{- range $settings }}
{{- $value := index . 1 | toString }}
{{- if not (has $value (list "" (gt (len .) 2 | ternary (last .) ""))) }}
- name: {{ index . 0 }}
  value: {{ $value | quote }}
{{- end }}
{{- end }}
{{- range $name, $path := dict "NODE_NAME" "spec.nodeName" "POD_NAMESPACE" "metadata.namespace" "POD_UID" "metadata.uid" }}
- name: {{ $name }}
  valueFrom:
    fieldRef:
      fieldPath: {{ $path }}
{{- end }}
{{- end }}
