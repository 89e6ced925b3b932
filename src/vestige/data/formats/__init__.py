"""Files of every format, as typed tables, arrays and members of archives; none of it is ever unpickled."""
