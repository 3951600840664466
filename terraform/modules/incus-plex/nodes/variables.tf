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

variable "profiles" {
  description = "Profiles by key."
  type        = any
  nullable    = false
}

# A variable instead of `depends_on` of the module: that would let the generations wait too, which a
# take-over applies alone (`-target`).
variable "after" {
  description = "Objects that must be there before the nodes."
  type        = any
  nullable    = false
}
