"""The contract of a method as checks that run over any `Method`."""
