-- What the back office knows: who may log in, and who called.
DROP TABLE IF EXISTS users, callers;
CREATE TABLE users (username text PRIMARY KEY, password text NOT NULL);
CREATE TABLE callers (id serial PRIMARY KEY, at timestamptz DEFAULT now(), method text, name text, number text, agent text);
INSERT INTO users VALUES ('admin', 'correct horse battery staple'), ('clerk', 'lab');
