"""Rules over explicit structure: one small function per rule, a file per family."""
