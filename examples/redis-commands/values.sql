-- REPLACE makes a value that is set again take the place of the old one.
CREATE TABLE entries (key TEXT PRIMARY KEY ON CONFLICT REPLACE, value TEXT);
