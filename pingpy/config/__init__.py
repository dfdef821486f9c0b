"""config.toml: the schema, its reading, and the plan that the master needs."""
