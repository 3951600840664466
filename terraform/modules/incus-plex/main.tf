locals {
  masters = { for name, instance in var.instances : name => instance if instance.parent == null }
  workers = { for name, instance in var.instances : name => instance if instance.parent != null }
  seeds   = { for key, volume in var.volumes : key => volume if volume.source != null }

  # Created before all nodes.
  first = [incus_profile.profile, incus_storage_volume.volume, incus_storage_volume.seed]
}

resource "incus_network_acl" "acl" {
  for_each = var.acls

  remote = each.value.host
  name   = each.value.name
  config = each.value.config

  # The provider reads every property of a rule from the server, and null for no rules.
  ingress = length(each.value.ingress) == 0 ? null : each.value.ingress
  egress  = length(each.value.egress) == 0 ? null : each.value.egress
}

resource "incus_network" "network" {
  for_each = var.networks

  remote = each.value.host
  name   = each.value.name
  type   = "bridge"
  config = each.value.config

  depends_on = [incus_network_acl.acl]
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

# A change of the content replaces the volume.
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
    # The provider cannot read these from a volume that was imported, and without the file it would
    # use its defaults for the others. A new volume gets all of them.
    ignore_changes       = [source_file, content_type, config]
    replace_triggered_by = [terraform_data.content[each.key]]
  }
}

# Two calls of one module, because the workers depend on the masters: old workers are deleted before a
# new master is created, with whose cluster they would register. Instances of one resource cannot
# depend on each other.
module "master" {
  source = "./nodes"

  instances = local.masters
  profiles  = var.profiles
  after     = local.first

  # Those of workers too, which workers and their master have to refer to.
  generations = {
    for name, instance in var.instances : name => [
      instance.generation,
      instance.image,
      instance.config["user.plex.hash"],
    ]
  }
}

module "worker" {
  source = "./nodes"

  instances = local.workers
  profiles  = var.profiles
  after     = [local.first, module.master.instances]

  # A worker belongs to one life of its master. With -target, some may be missing.
  generations = {
    for name, instance in local.workers : name => [
      lookup(module.master.generations, name, null),
      lookup(module.master.generations, instance.parent, null),
    ]
  }
}
