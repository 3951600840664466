locals {
  masters = { for name, instance in var.instances : name => instance if instance.parent == null }
  workers = { for name, instance in var.instances : name => instance if instance.parent != null }
}

# Two calls of one module, because the workers depend on the masters: old workers are deleted before a
# new master is created, with whose cluster they would register. Instances of one resource cannot
# depend on each other.
module "master" {
  source = "./nodes"

  plex      = var.plex
  hosts     = var.hosts
  instances = local.masters
  seed_ids  = {}
  after     = []

  # Those of workers too: their generations, because workers and their master refer to them, and their
  # seeds, because these are replaced with the node's own generation only. A template that was created
  # again under another number is the same one: it is not part of a generation.
  generations = { for name, instance in var.instances : name => [instance.generation] }
  seeds       = var.instances
}

module "worker" {
  source = "./nodes"

  plex      = var.plex
  hosts     = var.hosts
  instances = local.workers
  seeds     = {}
  seed_ids  = module.master.seed_ids
  after     = module.master.instances

  # A worker belongs to one life of its master. With -target, some may be missing.
  generations = {
    for name, instance in local.workers : name => [
      lookup(module.master.generations, name, null),
      lookup(module.master.generations, instance.parent, null),
    ]
  }
}
