"""Tables: what columns mean, which tables exist, how they are stored."""
