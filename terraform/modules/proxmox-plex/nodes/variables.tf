# The types are those of the module that calls this one, which checks the values.
variable "instances" {
  description = "Nodes by name."
  type        = any
  nullable    = false
}

variable "generations" {
  description = "Values by node: a change of one replaces the node. May contain other nodes."
  type        = any
  nullable    = false
}

variable "plex" {
  description = "Name of the plex."
  type        = string
  nullable    = false
}

variable "hosts" {
  description = "Nodes of the Proxmox cluster, by plexctl's name."
  type        = any
  nullable    = false
}

variable "seeds" {
  description = "Nodes whose seed is created here, by name."
  type        = any
  nullable    = false
}

variable "seed_ids" {
  description = "Volumes of other nodes' seeds, by node."
  type        = map(string)
  nullable    = false
}

# A variable instead of `depends_on` of the module: that would let the generations wait too, which a
# take-over applies alone (`-target`).
variable "after" {
  description = "Objects that must be there before the nodes."
  type        = any
  nullable    = false
}
