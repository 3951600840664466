# The nodes of one role, masters or workers: incus-plex calls this module once for each.

# What decides whether a node is replaced: a node is never changed into another one.
resource "terraform_data" "generation" {
  for_each = var.generations

  triggers_replace = each.value
}

resource "incus_instance" "node" {
  for_each = var.instances

  remote   = each.value.host
  name     = each.key
  type     = each.value.form
  image    = each.value.image
  profiles = [var.profiles[each.value.profile].name]
  config   = each.value.config
  running  = each.value.running

  dynamic "device" {
    for_each = each.value.devices
    content {
      name       = device.key
      type       = device.value["type"]
      properties = { for key, value in device.value : key => value if key != "type" }
    }
  }

  dynamic "file" {
    for_each = each.value.boot == null ? [] : [each.value.boot]
    content {
      source_path        = file.value
      target_path        = "/var/lib/plexctl/boot.tar" # plex-boot.service unpacks it
      mode               = "0600"
      uid                = 0
      gid                = 0
      create_directories = false
    }
  }

  # The agent of a virtual machine receives the file.
  dynamic "wait_for" {
    for_each = each.value.form == "virtual-machine" && each.value.boot != null ? ["agent"] : []
    content {
      type = wait_for.value
    }
  }

  depends_on = [var.after]

  lifecycle {
    # The provider cannot read these from an instance that was imported. A new one gets all of them.
    ignore_changes       = [image, file, wait_for]
    replace_triggered_by = [terraform_data.generation[each.key]]
  }
}
