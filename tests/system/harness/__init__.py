"""What the system tests start and drive: servers, workers, engines, browsers and proxies."""
