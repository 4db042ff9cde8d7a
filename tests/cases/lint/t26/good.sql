SELECT E'\\i other.sql';
