CREATE TABLE second (id int REFERENCES first);
