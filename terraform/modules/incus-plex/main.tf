locals {
  masters = { for name, instance in var.instances : name => instance if instance.parent == null }
  workers = { for name, instance in var.instances : name => instance if instance.parent != null }
  seeds   = { for key, volume in var.volumes : key => volume if volume.source != null }

  # Where a node finds the files that it boots with.
  boot_tar = "/var/lib/plexctl/boot.tar"
}

resource "incus_network" "network" {
  for_each = var.networks

  remote = each.value.host
  name   = each.value.name
  type   = "bridge"
  config = each.value.config
}

resource "incus_profile" "profile" {
  for_each = var.profiles

  remote = each.value.host
  name   = each.value.name
  config = each.value.config

  dynamic "device" {
    for_each = each.value.devices
    content {
      name       = device.key
      type       = device.value["type"]
      properties = { for key, value in device.value : key => value if key != "type" }
    }
  }

  depends_on = [incus_network.network]
}

resource "incus_storage_volume" "volume" {
  for_each = { for key, volume in var.volumes : key => volume if volume.source == null }

  remote       = each.value.host
  name         = each.value.name
  pool         = each.value.pool
  type         = each.value.type
  content_type = each.value.content_type
  config       = each.value.config
}

# What decides which bytes a volume has.
resource "terraform_data" "content" {
  for_each = local.seeds

  triggers_replace = [each.value.source]
}

resource "incus_storage_volume" "seed" {
  for_each = local.seeds

  remote      = each.value.host
  name        = each.value.name
  pool        = each.value.pool
  source_file = each.value.source

  lifecycle {
    # Without the file, which is not known of a volume that was imported, the provider would take
    # its defaults for the rest. A new volume gets all of it.
    ignore_changes       = [source_file, content_type, config]
    replace_triggered_by = [terraform_data.content[each.key]]
  }
}

# A node is never changed into another: what decides its bytes decides its generation.
resource "terraform_data" "generation" {
  for_each = var.instances

  triggers_replace = [
    each.value.generation,
    each.value.image,
    each.value.config["user.plex.hash"],
  ]
}

# A worker belongs to one life of its master.
resource "terraform_data" "lineage" {
  for_each = local.workers

  triggers_replace = [
    terraform_data.generation[each.key].id,
    terraform_data.generation[each.value.parent].id,
  ]
}

resource "incus_instance" "master" {
  for_each = local.masters

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
      target_path        = local.boot_tar
      mode               = "0600"
      uid                = 0
      gid                = 0
      create_directories = false
    }
  }

  # The agent of a virtual machine takes the file.
  dynamic "wait_for" {
    for_each = each.value.form == "virtual-machine" && each.value.boot != null ? ["agent"] : []
    content {
      type = wait_for.value
    }
  }

  depends_on = [incus_profile.profile, incus_storage_volume.volume, incus_storage_volume.seed]

  lifecycle {
    # What the provider does not know of an instance that was imported. A new one gets all of it.
    ignore_changes       = [image, file, wait_for]
    replace_triggered_by = [terraform_data.generation[each.key]]
  }
}

# Workers are gone before a new master is made: they would register with the new cluster.
resource "incus_instance" "worker" {
  for_each = local.workers

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
      target_path        = local.boot_tar
      mode               = "0600"
      uid                = 0
      gid                = 0
      create_directories = false
    }
  }

  dynamic "wait_for" {
    for_each = each.value.form == "virtual-machine" && each.value.boot != null ? ["agent"] : []
    content {
      type = wait_for.value
    }
  }

  depends_on = [
    incus_profile.profile,
    incus_storage_volume.volume,
    incus_storage_volume.seed,
    incus_instance.master,
  ]

  lifecycle {
    ignore_changes       = [image, file, wait_for]
    replace_triggered_by = [terraform_data.lineage[each.key]]
  }
}
