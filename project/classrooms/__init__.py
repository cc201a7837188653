"""The worked example: teachers, their classrooms, and two jobs that people wait for."""
