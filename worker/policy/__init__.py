"""Python that runs when a configuration is loaded, or when a feature of it is used."""
