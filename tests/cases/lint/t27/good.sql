SELECT ')';
