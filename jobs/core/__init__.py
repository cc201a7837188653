"""What a job is: data and decisions, with no connection and no ORM."""
