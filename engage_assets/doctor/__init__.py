"""What a first send needs, looked at before it: `engage doctor`."""
