def refusal() -> str:
    """Why there is no io_uring for us on this host; "" when there is."""
