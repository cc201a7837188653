"""System checks: what is wrong with the settings and the project, said at start-up, with stable ids."""
