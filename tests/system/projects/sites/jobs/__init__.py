"""A project's own app `jobs`: a board of vacancies."""
