locals {
  masters = { for name, instance in var.instances : name => instance if instance.parent == null }
  workers = { for name, instance in var.instances : name => instance if instance.parent != null }
}

# A node is never changed into another: what decides its bytes decides its generation. A template
# that was made again under another number is no other one.
resource "terraform_data" "generation" {
  for_each = var.instances

  triggers_replace = [each.value.generation]
}

# A worker belongs to one life of its master.
resource "terraform_data" "lineage" {
  for_each = local.workers

  triggers_replace = [
    terraform_data.generation[each.key].id,
    terraform_data.generation[each.value.parent].id,
  ]
}

# The disk that a VM finds its files on. Only its path is known here: it holds keys.
resource "proxmox_virtual_environment_file" "seed" {
  for_each = var.instances

  node_name    = var.hosts[each.value.host].node
  datastore_id = var.hosts[each.value.host].iso
  content_type = "iso"
  overwrite    = true

  source_file {
    path      = each.value.seed
    file_name = each.value.seed_name
  }

  lifecycle {
    # Another file at the same path is no change that the provider is sure to see.
    ignore_changes       = [source_file]
    replace_triggered_by = [terraform_data.generation[each.key]]
  }
}

resource "proxmox_virtual_environment_vm" "master" {
  for_each = local.masters

  name        = each.key
  node_name   = var.hosts[each.value.host].node
  description = each.value.description
  tags        = ["plex-${var.plex}", "plexctl"] # as the server sorts them
  started     = each.value.running
  on_boot     = true
  machine     = "q35" # the machine that has PCI Express

  scsi_hardware = "virtio-scsi-single"

  stop_on_destroy     = true
  reboot_after_update = false # what matters to a node makes it anew

  clone {
    vm_id        = each.value.template
    full         = !var.hosts[each.value.host].linked
    datastore_id = var.hosts[each.value.host].linked ? null : var.hosts[each.value.host].pool
    retries      = 30 # one clone of a template at a time: the server refuses a second one
  }

  agent {
    enabled = true
    timeout = "5m"
  }

  operating_system {
    type = "l26"
  }

  serial_device {}

  vga {
    type = "serial0"
  }

  cpu {
    cores = each.value.cores
    type  = "host"
  }

  memory {
    dedicated = each.value.memory
  }

  network_device {
    model       = "virtio"
    bridge      = each.value.bridge
    mac_address = upper(each.value.mac)
    vlan_id     = each.value.vlan
  }

  cdrom {
    file_id   = proxmox_virtual_environment_file.seed[each.key].id
    interface = "ide2"
  }

  dynamic "disk" {
    for_each = each.value.disk == null ? [] : [each.value.disk]
    content {
      datastore_id = var.hosts[each.value.host].pool
      interface    = "scsi0"
      size         = disk.value
      discard      = "on"
      iothread     = true
    }
  }

  dynamic "hostpci" {
    for_each = each.value.pci
    content {
      device  = "hostpci${hostpci.key}"
      mapping = hostpci.value
      pcie    = true
    }
  }

  lifecycle {
    # What a VM was cloned from is not known of one that was imported.
    ignore_changes       = [clone]
    replace_triggered_by = [terraform_data.generation[each.key]]
  }
}

# Workers are gone before a new master is made: they would register with the new cluster.
resource "proxmox_virtual_environment_vm" "worker" {
  for_each = local.workers

  name        = each.key
  node_name   = var.hosts[each.value.host].node
  description = each.value.description
  tags        = ["plex-${var.plex}", "plexctl"] # as the server sorts them
  started     = each.value.running
  on_boot     = true
  machine     = "q35" # the machine that has PCI Express

  scsi_hardware = "virtio-scsi-single"

  stop_on_destroy     = true
  reboot_after_update = false # what matters to a node makes it anew

  clone {
    vm_id        = each.value.template
    full         = !var.hosts[each.value.host].linked
    datastore_id = var.hosts[each.value.host].linked ? null : var.hosts[each.value.host].pool
    retries      = 30 # one clone of a template at a time: the server refuses a second one
  }

  agent {
    enabled = true
    timeout = "5m"
  }

  operating_system {
    type = "l26"
  }

  serial_device {}

  vga {
    type = "serial0"
  }

  cpu {
    cores = each.value.cores
    type  = "host"
  }

  memory {
    dedicated = each.value.memory
  }

  network_device {
    model       = "virtio"
    bridge      = each.value.bridge
    mac_address = upper(each.value.mac)
    vlan_id     = each.value.vlan
  }

  cdrom {
    file_id   = proxmox_virtual_environment_file.seed[each.key].id
    interface = "ide2"
  }

  dynamic "disk" {
    for_each = each.value.disk == null ? [] : [each.value.disk]
    content {
      datastore_id = var.hosts[each.value.host].pool
      interface    = "scsi0"
      size         = disk.value
      discard      = "on"
      iothread     = true
    }
  }

  dynamic "hostpci" {
    for_each = each.value.pci
    content {
      device  = "hostpci${hostpci.key}"
      mapping = hostpci.value
      pcie    = true
    }
  }

  depends_on = [proxmox_virtual_environment_vm.master]

  lifecycle {
    # What a VM was cloned from is not known of one that was imported.
    ignore_changes       = [clone]
    replace_triggered_by = [terraform_data.lineage[each.key]]
  }
}
