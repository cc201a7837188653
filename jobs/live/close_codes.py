"""The codes with which the server closes a socket."""

BAD = 4400  # a foreign origin, or a frame that breaks the limits
LOGGED_OUT = 4401  # the owner has logged out; a page that may still listen reconnects
NOT_FOUND = 4404
TOO_MANY = 4429
TRY_LATER = 4503  # the store or the database does not answer, or the client does not read
