# The nodes of one role, masters or workers: proxmox-plex calls this module once for each.

# What decides whether a node is replaced: a node is never changed into another one.
resource "terraform_data" "generation" {
  for_each = var.generations

  triggers_replace = each.value
}

# The disk with the boot files of a VM. It contains keys: only its path is in the state.
resource "proxmox_virtual_environment_file" "seed" {
  for_each = var.seeds

  node_name    = var.hosts[each.value.host].node
  datastore_id = var.hosts[each.value.host].iso
  content_type = "iso"
  overwrite    = true

  source_file {
    path      = each.value.seed
    file_name = each.value.seed_name
  }

  lifecycle {
    # The provider does not reliably see another file at the same path.
    ignore_changes       = [source_file]
    replace_triggered_by = [terraform_data.generation[each.key]]
  }
}

resource "proxmox_virtual_environment_vm" "node" {
  for_each = var.instances

  name        = each.key
  node_name   = var.hosts[each.value.host].node
  description = each.value.description
  tags        = ["plex-${var.plex}", "plexctl"] # as the server sorts them
  started     = each.value.running
  on_boot     = true
  machine     = "q35" # the machine that has PCI Express

  scsi_hardware = "virtio-scsi-single"

  stop_on_destroy     = true
  reboot_after_update = false # a change that matters to a node replaces it

  clone {
    vm_id        = each.value.template
    full         = !var.hosts[each.value.host].linked
    datastore_id = var.hosts[each.value.host].linked ? null : var.hosts[each.value.host].pool
    retries      = 30 # the server refuses a second clone of the same template at the same time
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
    file_id   = try(proxmox_virtual_environment_file.seed[each.key].id, var.seed_ids[each.key])
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

  depends_on = [var.after]

  lifecycle {
    # The provider cannot read the template of a VM that was imported.
    ignore_changes       = [clone]
    replace_triggered_by = [terraform_data.generation[each.key]]
  }
}
