-- The registers that the server has. REPLACE makes a row that is stored again take the place of the old one.
CREATE TABLE registers (address INTEGER PRIMARY KEY ON CONFLICT REPLACE, value INTEGER NOT NULL, name TEXT);
INSERT INTO registers VALUES (0, 215, 'set temperature, tenths of a degree'), (1, 0, 'state'), (2, 7, 'recipe');
