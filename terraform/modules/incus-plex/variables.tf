variable "plex" {
  description = "Name of the plex."
  type        = string
  nullable    = false

  validation {
    condition     = can(regex("^[a-z]([a-z0-9-]*[a-z0-9])?$", var.plex))
    error_message = "A plex is named with small letters, digits and hyphens, beginning with a letter."
  }
}

variable "acls" {
  description = "Network ACLs, by key (\"<host>/<name>\"). A network uses one by `security.acls` in its config, which has the name."
  nullable    = false
  type = map(object({
    host   = string
    name   = string
    config = map(string)
    ingress = list(object({
      action           = string # "allow", "reject" or "drop"
      state            = optional(string, "enabled")
      source           = optional(string, "")
      source_port      = optional(string, "")
      destination      = optional(string, "")
      destination_port = optional(string, "")
      protocol         = optional(string, "")
      icmp_type        = optional(string, "")
      icmp_code        = optional(string, "")
      description      = optional(string, "")
    }))
    egress = list(object({
      action           = string # "allow", "reject" or "drop"
      state            = optional(string, "enabled")
      source           = optional(string, "")
      source_port      = optional(string, "")
      destination      = optional(string, "")
      destination_port = optional(string, "")
      protocol         = optional(string, "")
      icmp_type        = optional(string, "")
      icmp_code        = optional(string, "")
      description      = optional(string, "")
    }))
  }))
}

variable "networks" {
  description = "Bridges, by key (\"<host>/<name>\")."
  nullable    = false
  type = map(object({
    host   = string
    name   = string
    config = map(string)
  }))
}

variable "profiles" {
  description = "Profiles, by key. `network` is the key of the network that must exist first, or null."
  nullable    = false
  type = map(object({
    host    = string
    name    = string
    config  = map(string)
    devices = map(map(string)) # "type" and the device's properties
    network = string
  }))

  validation {
    condition     = alltrue([for p in var.profiles : p.network == null ? true : contains(keys(var.networks), p.network)])
    error_message = "A profile names a network that is not in `networks`."
  }

  validation {
    condition     = alltrue([for p in var.profiles : alltrue([for d in p.devices : contains(keys(d), "type")])])
    error_message = "Every device of a profile needs a `type`."
  }
}

variable "volumes" {
  description = "Storage volumes, by key. A volume with `source` has the content of that file, and the provider accepts nothing else for it."
  nullable    = false
  type = map(object({
    host         = string
    name         = string
    pool         = string
    type         = string # "custom"
    content_type = string # "filesystem", "block" or, with `source`, "iso"
    config       = map(string)
    source       = optional(string) # absolute path of an .iso
  }))

  validation {
    condition     = alltrue([for v in var.volumes : v.source == null ? true : startswith(v.source, "/") && endswith(v.source, ".iso")])
    error_message = "`source` is the absolute path of an .iso file."
  }

  validation {
    condition     = alltrue([for v in var.volumes : (v.source != null) == (v.content_type == "iso")])
    error_message = "A volume with `source` needs the content type \"iso\", and only such a volume may have it."
  }
}

variable "instances" {
  description = "Nodes, by name. A node without `parent` is a master; a worker has the name of its master."
  nullable    = false
  type = map(object({
    host       = string
    form       = string           # "container" or "virtual-machine"
    image      = string           # alias on its host
    profile    = string           # key in `profiles`
    config     = map(string)      # with user.plex.hash
    devices    = map(map(string)) # "type" and the device's properties
    boot       = string           # absolute path of its boot tar, or null
    generation = string           # another one replaces the node
    parent     = string
    running    = optional(bool, true)
  }))

  validation {
    condition     = alltrue([for i in var.instances : contains(["container", "virtual-machine"], i.form)])
    error_message = "`form` is \"container\" or \"virtual-machine\"."
  }

  validation {
    condition     = alltrue([for i in var.instances : contains(keys(var.profiles), i.profile)])
    error_message = "An instance names a profile that is not in `profiles`."
  }

  validation {
    condition     = alltrue([for i in var.instances : i.host == try(var.profiles[i.profile].host, i.host)])
    error_message = "An instance and its profile are on different hosts."
  }

  validation {
    condition = alltrue([
      for i in var.instances : i.parent == null ? true : try(var.instances[i.parent].parent == null, false)
    ])
    error_message = "`parent` is the name of an instance that has no parent itself."
  }

  validation {
    condition     = alltrue([for i in var.instances : can(i.config["user.plex.hash"])])
    error_message = "Every instance needs `user.plex.hash` in its config: another hash replaces the node."
  }

  validation {
    condition     = alltrue([for i in var.instances : i.boot == null || i.running])
    error_message = "An instance that is not started cannot get a boot tar."
  }

  validation {
    condition     = alltrue([for i in var.instances : i.boot == null ? true : startswith(i.boot, "/")])
    error_message = "`boot` is an absolute path."
  }

  validation {
    condition     = alltrue([for i in var.instances : alltrue([for d in i.devices : contains(keys(d), "type")])])
    error_message = "Every device of an instance needs a `type`."
  }
}
