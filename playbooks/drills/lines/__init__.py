"""Writers: one module per device, each turns the facts of an event into the line that the device would write."""
