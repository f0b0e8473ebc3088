"""The services, and the ground they stand on."""
