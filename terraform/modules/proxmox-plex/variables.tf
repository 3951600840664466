variable "plex" {
  description = "Name of the plex."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]([a-z0-9-]*[a-z0-9])?$", var.plex))
    error_message = "A plex is named with small letters, digits and hyphens, beginning with a letter."
  }
}

variable "hosts" {
  description = "Nodes of the Proxmox cluster, by plexctl's name: the cluster's name of the node, the storage of seeds, the storage of full clones, and whether clones are linked."
  nullable    = false
  type = map(object({
    node   = string
    iso    = string
    pool   = string
    linked = bool
  }))
}

variable "instances" {
  description = "VMs, by name. One without `parent` is a master; a worker has the name of its master."
  nullable    = false
  type = map(object({
    host        = string # key in `hosts`
    template    = number # VM identifier of its template on that host
    cores       = number
    memory      = number # MiB
    disk        = number # GiB, or null: the size of the template's disk
    mac         = string
    bridge      = string
    vlan        = number       # tag on the bridge, or null
    pci         = list(string) # names of PCI mappings
    description = string       # plexctl's tags, one line
    seed        = string       # absolute path of the .iso with its boot files
    seed_name   = string       # name of the seed on the storage
    generation  = string       # another one replaces the VM
    parent      = string
    running     = optional(bool, true)
  }))

  validation {
    condition     = alltrue([for i in var.instances : contains(keys(var.hosts), i.host)])
    error_message = "An instance names a host that is not in `hosts`."
  }

  validation {
    condition = alltrue([
      for i in var.instances : i.parent == null ? true : try(var.instances[i.parent].parent == null, false)
    ])
    error_message = "`parent` is the name of an instance that has no parent itself."
  }

  validation {
    condition     = alltrue([for i in var.instances : startswith(i.seed, "/") && endswith(i.seed, ".iso")])
    error_message = "`seed` is the absolute path of an .iso file."
  }
}
