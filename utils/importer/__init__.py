"""What tintype-import is made of; the standard library is all it needs."""
