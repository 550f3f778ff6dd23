"""What tintype-backup and tintype-restore share; the standard library is all they need."""
