DELETE FROM watermarks WHERE process = $1
