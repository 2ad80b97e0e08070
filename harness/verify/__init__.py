"""What decides that a feature is done: contracts, bindings, replay, proof and evidence."""
