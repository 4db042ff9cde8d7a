CREATE TABLE bookings2 (during tsrange, EXCLUDE USING gist (during WITH &&));
