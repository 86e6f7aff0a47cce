"""A channel over an MQTT broker."""
