"""The demand archive: change records in, Avro files and error files out, each change once."""
