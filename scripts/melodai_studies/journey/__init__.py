"""The study's journey, repeated: every step by its own protocol and by an honest one."""
